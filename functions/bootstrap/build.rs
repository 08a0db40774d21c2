//! AWS Lambda, and the emulator as well, take programs of up to 250 MiB. A development build with the SQL engine
//! is larger, mostly by functions that are the same for several types: the linker keeps one of each.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_development = std::env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let links_with_lld =
        std::env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu");
    if is_development && links_with_lld {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
