"""What teachers say in a training, kept for later trainings that ask the same of them."""
