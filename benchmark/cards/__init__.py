"""Cards, suites, brackets: what is written about data sets, without torch and without pixels."""
