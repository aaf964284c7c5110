//! Everything of gRPC that is not generated: channels, credentials, deadlines, typed errors.
