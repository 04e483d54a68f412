"""Aggregation, the leaderboard and console tables."""
