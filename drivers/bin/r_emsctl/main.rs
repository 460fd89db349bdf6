//! `r-emsctl` with the built-in functions.

fn main() -> std::process::ExitCode {
    r_ems::emsctl::<r_ems::engine::functions::BuiltIn>()
}
