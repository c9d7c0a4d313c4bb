//! A logger that keeps all messages. A process has one logger, so that each test that reads them has a file of its own.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Kept(Mutex<Vec<(Level, String)>>);

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, entry: &Record<'_>) {
        self.0.lock().unwrap().push((entry.level(), entry.args().to_string()));
    }

    fn flush(&self) {}
}

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

/// Keeps the warnings from now on.
pub(crate) fn start() {
    log::set_logger(&KEPT).unwrap();
    log::set_max_level(LevelFilter::Warn);
}

/// The only message so far, which is a warning.
#[track_caller]
pub(crate) fn only_warning() -> String {
    let kept = KEPT.0.lock().unwrap();
    let [(Level::Warn, message)] = &kept[..] else { panic!("{kept:?}") };
    message.clone()
}
