//! Names style sheet, icon and scripts after their content, and has migrations embedded anew when they change.

use std::hash::{DefaultHasher, Hash, Hasher};

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    let assets = [
        ("STYLE_HASH", "src/web/style.css"),
        ("ICON_HASH", "src/web/icon.svg"),
        ("FORM_POST_HASH", "src/web/form_post.js"),
        ("CHECK_SESSION_HASH", "src/web/check_session.js"),
    ];
    for (name, path) in assets {
        println!("cargo:rerun-if-changed={path}");
        let mut hasher = DefaultHasher::new();
        std::fs::read(path).unwrap_or_default().hash(&mut hasher);
        println!("cargo:rustc-env={name}={:08x}", hasher.finish() >> 32);
    }
}
