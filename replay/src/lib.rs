//! R-EMS replay.
