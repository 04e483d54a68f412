"""Where images come from: the hub, archives, folders, a program."""
