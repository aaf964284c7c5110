//! The fleet's state behind one trait, with an embedded implementation and one conformance suite.
