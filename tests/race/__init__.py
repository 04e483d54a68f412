"""kdbench's speed beside that of code as it is usually published."""
