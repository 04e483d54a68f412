"""One group at one place: data, roles, training, and the records of it."""
