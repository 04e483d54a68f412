"""What there is and what it says today: recipes, data sets, networks and suites."""
