//! The control plane's services.
