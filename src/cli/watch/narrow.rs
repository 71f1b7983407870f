//! Standard error as a terminal whose last columns are left free: a line is filled to its end, and the `^C` that the terminal itself
//! writes behind it would stand on a line of its own, and leave the one above for ever.

use std::io::{Result, Write as _, stderr};

use indicatif::TermLike;

/// `^C`, and the column where the cursor stands then.
const FREE: u16 = 3;

/// The width of a terminal that does not tell it.
const USUAL: u16 = 80;

#[derive(Debug)]
pub(super) struct Narrow;

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        let told = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).map_or(0, |size| size.ws_col);
        if told == 0 { USUAL } else { told }.saturating_sub(FREE).max(1)
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        moved(n, 'D')
    }

    fn write_line(&self, text: &str) -> Result<()> {
        writeln!(stderr(), "{text}")
    }

    fn write_str(&self, text: &str) -> Result<()> {
        write!(stderr(), "{text}")
    }

    fn clear_line(&self) -> Result<()> {
        write!(stderr(), "\r\x1b[2K")
    }

    fn flush(&self) -> Result<()> {
        stderr().flush()
    }
}

/// To move by nothing would be to move by one.
fn moved(n: usize, to: char) -> Result<()> {
    if n == 0 { Ok(()) } else { write!(stderr(), "\x1b[{n}{to}") }
}
