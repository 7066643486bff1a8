"""Time: calendars, and (next) policies, clocks and escalation."""
