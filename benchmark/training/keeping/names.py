"""What lies in the folder of a run, by name: known without what reads it, and without torch."""

from __future__ import annotations

import re

FOLDER = re.compile(r"[0-9a-f]{16}")  # the first digits of the run's identity
SPEC = "run.json"  # what was asked for: a word for a person, which no training reads
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d{1,9})-(\d{1,9})\.safetensors")  # epoch and step
TRACEBACK = "traceback.txt"  # of a run that ended with an error
PICKLE = "checkpoint.pt"  # a checkpoint of the formats up to 3; it is not looked into
# Weights, and what recipes found with them.
WEIGHTS_NAME = re.compile(r"(?:weights|before)(?:-[0-9a-f]{1,16})?\.safetensors")
