//! The lines of a terminal that change: one for each host or service that is being worked on.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::cli::face::say;
use crate::cli::render::board::Board;
use crate::cli::render::words;
use crate::model::{Event, HostName, ServiceName};

/// The live lines that are on the terminal now: there is one terminal, and questions come from anywhere.
static SHOWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Whether somebody is asked something, or is about to be.
static ASKED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Held by whoever writes on the terminal, and by a question until it is answered: neither comes in between.
static SCREEN: Mutex<()> = Mutex::new(());

/// Tells what lines are live now, or that there are none any more.
pub(in crate::cli) fn shows(lines: Option<MultiProgress>) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// Does this while nothing is written on the terminal, as it would be written over a question. Live lines come back below.
pub(in crate::cli) fn aside<T>(ask: impl FnOnce() -> T) -> T {
    ASKED.send_replace(true);
    let screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let answer = match shown {
        Some(shown) => shown.suspend(ask),
        None => ask(),
    };
    drop(screen);
    ASKED.send_replace(false);
    answer
}

/// The screen, unless a question stands there.
fn free() -> Option<MutexGuard<'static, ()>> {
    match SCREEN.try_lock() {
        Ok(free) => Some(free),
        Err(TryLockError::Poisoned(free)) => Some(free.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The screen for a moment, once no question stands there. Who waits is not blocked, so that Ctrl-C is still heard.
pub(in crate::cli) async fn screen() -> MutexGuard<'static, ()> {
    let mut asked = ASKED.subscribe();
    loop {
        // It cannot be closed: who sends is never dropped.
        let _ = asked.wait_for(|asked| !asked).await;
        if let Some(free) = free() {
            return free;
        }
        tokio::task::yield_now().await;
    }
}

/// The live lines, under the ones that stay.
pub(super) struct Live {
    all: MultiProgress,
    rows: BTreeMap<(Option<ServiceName>, HostName), ProgressBar>,
    style: ProgressStyle,
}

impl Live {
    /// Live lines on standard error.
    pub(super) fn new(color: bool) -> Self {
        let template = if color {
            "{spinner:.cyan}     {prefix}  {wide_msg} {elapsed:.dim}"
        } else {
            "{spinner}     {prefix}  {wide_msg} {elapsed}"
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let all = MultiProgress::new();
        shows(Some(all.clone()));
        Self { all, rows: BTreeMap::new(), style: style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ") }
    }

    /// Prints a line that stays above the live ones.
    pub(super) fn stay(&self, line: &str) {
        if self.rows.is_empty() {
            return say(line);
        }
        // A terminal that takes no more lines has nobody to be told so.
        let _ = self.all.println(line);
    }

    /// Changes the live line that the event is about.
    pub(super) fn show(&mut self, event: &Event, board: &Board) {
        let Some((service, host, text)) = words::doing(event) else { return };
        let key = (service.cloned(), host.clone());
        if text.is_empty() {
            if let Some(row) = self.rows.remove(&key) {
                row.finish_and_clear();
                self.all.remove(&row);
            }
            return;
        }
        if service.is_some() {
            // The host's own line has nothing more to say.
            if let Some(row) = self.rows.remove(&(None, host.clone())) {
                row.finish_and_clear();
                self.all.remove(&row);
            }
        }
        let row = self.rows.entry(key).or_insert_with(|| {
            let (services, hosts) = board.widths;
            let service = service.map_or("", ServiceName::as_str);
            let row = ProgressBar::new_spinner().with_style(self.style.clone());
            self.all.add(row.with_prefix(format!("{service:<services$}  {:<hosts$}", host.as_str())))
        });
        row.set_message(text);
    }

    /// Turns the spinners and the clocks one on.
    pub(super) fn tick(&self) {
        for row in self.rows.values() {
            row.tick();
        }
    }

    /// Takes the live lines away.
    pub(super) fn clear(&mut self) {
        for row in std::mem::take(&mut self.rows).into_values() {
            row.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        shows(None);
    }
}
