//! `docs/compat.md` says what the lowering's tables say.

use trellis_tests::compat;

#[test]
fn the_page_is_what_the_tables_say() {
    let kept = std::fs::read_to_string(compat::PATH).unwrap_or_default();
    let rewrite = "run `cargo run -p trellis-tests --bin compat`";
    assert!(kept == compat::page(), "docs/compat.md is out of date: {rewrite}");
}
