//! Raw YAML becomes validated configuration: two types, one way. Errors name file, key, value and expectation.
