"""From images of a split to batches on the device."""
