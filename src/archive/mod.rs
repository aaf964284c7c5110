//! Hostile zip archives: inspected, planned and extracted by our own loop.
