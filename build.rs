//! Names the style sheet after its content, and has migrations embedded anew when they change.

use std::hash::{DefaultHasher, Hash, Hasher};

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=src/web/style.css");
    let css = std::fs::read("src/web/style.css").unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    css.hash(&mut hasher);
    println!("cargo:rustc-env=STYLE_HASH={:08x}", hasher.finish() >> 32);
}
