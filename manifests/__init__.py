"""Recipe to plan, plan to decisions, decisions to mixture manifest."""
