"""Looking at a data set: survey, inspection, contact sheet."""
