//! Trellis's server: listeners, sessions, the engine, change feeds.
