//! The authority of the fleet: CA, leaf certificates, enrolment, ssh key.
