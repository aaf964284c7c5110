//! Pure decisions: placement, scaling, retention. (state, event, now) in, effects out; no I/O, no clock, no lock.
