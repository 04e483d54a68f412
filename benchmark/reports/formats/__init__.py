"""The leaderboard in its formats."""
