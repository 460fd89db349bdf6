//! Colours. They are written always and taken away again where nobody wants them: see [`crate::output`].

use anstyle::{AnsiColor, Style};

/// What matters most.
pub const BOLD: Style = Style::new().bold();
/// What is there to be looked up.
pub const DIM: Style = Style::new().dimmed();
/// As it should be.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Not as it should be.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Worth a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();

/// Paints a text.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
