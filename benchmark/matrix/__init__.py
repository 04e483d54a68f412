"""Run identity, plan, execution."""
