//! Trellis.
fn main() {}
