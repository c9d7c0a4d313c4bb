//! Lines for a pipe or a file.

use std::io::Write;
use std::time::{Duration, Instant};

/// Prints lines with some time between them.
pub(super) struct Lines {
    /// `None` once writing has failed.
    out: Option<Box<dyn Write + Send>>,
    interval: Duration,
    printed: Option<Instant>,
    /// The last line that was not printed.
    waiting: Option<String>,
}

impl Lines {
    pub(super) fn new(out: Box<dyn Write + Send>, interval: Duration) -> Self {
        Self { out: Some(out), interval, printed: None, waiting: None }
    }

    /// Prints a line, unless one was printed a short time ago.
    pub(super) fn offer(&mut self, now: Instant, line: String) {
        if self.printed.is_some_and(|printed| now.duration_since(printed) < self.interval) {
            self.waiting = Some(line);
        } else {
            (self.printed, self.waiting) = (Some(now), None);
            self.write(&line);
        }
    }

    /// Prints the last line, if it was not printed.
    pub(super) fn flush(&mut self) {
        if let Some(line) = self.waiting.take() {
            self.write(&line);
        }
    }

    /// Prints a line.
    pub(super) fn write(&mut self, line: &str) {
        let written = self.out.as_mut().map(|out| writeln!(out, "{line}").and_then(|()| out.flush()));
        if let Some(Err(_)) = written {
            self.out = None;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer whose text can be read.
    #[derive(Clone, Default)]
    pub(in super::super) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        pub(in super::super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_within_the_interval_wait_for_the_end() {
        let out = Shared::default();
        let mut lines = Lines::new(Box::new(out.clone()), Duration::from_secs(5));
        let begin = Instant::now();
        for second in 0..8 {
            lines.offer(begin + Duration::from_secs(second), second.to_string());
        }
        assert_eq!(out.text(), "0\n5\n");
        lines.flush();
        lines.flush();
        assert_eq!(out.text(), "0\n5\n7\n");
    }

    #[test]
    fn a_closed_pipe_ends_the_display_only() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::new(Box::new(Closed), Duration::ZERO);
        lines.write("a");
        assert!(lines.out.is_none());
        lines.write("b");
    }
}
