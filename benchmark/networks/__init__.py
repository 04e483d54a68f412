"""CIFAR networks of the field, the timm adaptor, frozen heads."""
