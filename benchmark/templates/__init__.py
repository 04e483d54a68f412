"""New files from templates: what ``kdbench new`` writes."""
