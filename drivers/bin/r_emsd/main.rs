//! `r-emsd` with the built-in functions.

fn main() -> std::process::ExitCode {
    r_ems::emsd::<r_ems::engine::functions::BuiltIn>()
}
