//! Ctrl-C and SIGTERM.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The number of runs that end after their current step if a signal arrives.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Whether a signal has arrived. It stays set, so that the further runs of a program that was asked to end do not start.
static ARRIVED: AtomicBool = AtomicBool::new(false);

/// Whether a run of this process has been ended by a signal.
pub(super) fn have_arrived() -> bool {
    ARRIVED.load(Ordering::SeqCst)
}

/// The exit status of a program that ends by Ctrl-C, as in shells.
const EXIT_STATUS: i32 = 130;

/// As long as this exists, Ctrl-C and SIGTERM do not end the process, unless they arrive a second time.
pub(super) struct Signals {
    is_handled: bool,
}

impl Signals {
    pub(super) fn new(is_wanted: bool) -> Self {
        let is_handled = is_wanted && is_installed();
        if is_handled {
            RUNS.fetch_add(1, Ordering::SeqCst);
        }
        Self { is_handled }
    }

    pub(super) fn have_arrived(&self) -> bool {
        self.is_handled && have_arrived()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if self.is_handled {
            RUNS.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Installs the handler of this process at the first call. A program that has a handler of its own keeps it.
fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let handler = || {
            if RUNS.load(Ordering::SeqCst) == 0 || ARRIVED.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_STATUS);
            }
            log::warn!("the run ends after this step; a second signal ends the program at once");
        };
        match ctrlc::try_set_handler(handler) {
            Ok(()) => true,
            Err(error) => {
                log::info!("Ctrl-C and SIGTERM are left to the program: {error}");
                false
            }
        }
    })
}
