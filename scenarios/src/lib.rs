//! R-EMS scenarios.
