//! Prometheus' text format, version 0.0.4: what every monitor reads.

use std::fmt::{Display, Write};

use super::{Counter, Counters, Histogram, Histograms};

/// What the answer is sent as.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics, written family by family.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// The whole text.
    pub fn finish(self) -> String {
        self.0
    }

    /// A value that may rise and fall.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(&[] as &[(&str, &str)], value)]);
    }

    /// [`Self::gauge`] for several sets of labels; without any, nothing is told.
    pub fn gauges<'a, L: AsRef<[(&'a str, &'a str)]>>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        self.head(name, help, "gauge");
        for (labels, value) in samples {
            self.sample(name, "", labels.as_ref(), value);
        }
    }

    /// A number that only grows; `name` ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.total(name, help, counter.get() as f64);
    }

    /// [`Self::counter`] for a number that is kept elsewhere, or in another unit.
    pub fn total(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "counter");
        self.sample(name, "", &[], value);
    }

    /// [`Self::counter`] for each value of a label.
    pub fn counters(&mut self, name: &str, help: &str, counters: &Counters) {
        self.head(name, help, "counter");
        for (value, counter) in &counters.counts {
            self.sample(name, "", &[(counters.label, value)], counter.get() as f64);
        }
    }

    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, help, "histogram");
        self.buckets(name, None, histogram);
    }

    /// [`Self::histogram`] for each value of a label.
    pub fn histograms(&mut self, name: &str, help: &str, histograms: &Histograms) {
        self.head(name, help, "histogram");
        for (value, histogram) in &histograms.all {
            self.buckets(name, Some((histograms.label, value)), histogram);
        }
    }

    fn buckets(&mut self, name: &str, label: Option<(&str, &str)>, histogram: &Histogram) {
        let tally = histogram.read();
        let mut count = 0;
        let bounds = histogram.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, more) in bounds.zip(&tally.counts) {
            count += more;
            let labels: Vec<_> = label.into_iter().chain([("le", bound.as_str())]).collect();
            self.sample(name, "_bucket", &labels, count as f64);
        }
        let labels: Vec<_> = label.into_iter().collect();
        self.sample(name, "_sum", &labels, tally.sum);
        self.sample(name, "_count", &labels, count as f64);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n")));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{suffix}{labels} {value}"));
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_bound_with_all_below_it() {
        let histogram = Histogram::new(&[0.5, 1.0, 2.5]);
        for value in [0.1, 0.5, 0.75, 9.0, f64::NAN, f64::INFINITY] {
            histogram.observe(value);
        }
        let mut page = Page::default();
        page.histogram("wait_seconds", "How long.", &histogram);
        assert_eq!(
            page.finish(),
            "# HELP wait_seconds How long.\n# TYPE wait_seconds histogram\n\
             wait_seconds_bucket{le=\"0.5\"} 2\nwait_seconds_bucket{le=\"1\"} 3\n\
             wait_seconds_bucket{le=\"2.5\"} 3\nwait_seconds_bucket{le=\"+Inf\"} 4\n\
             wait_seconds_sum 10.35\nwait_seconds_count 4\n"
        );
    }

    #[test]
    fn every_value_of_a_label_is_there_from_the_beginning() {
        let counters = Counters::new("status", &["completed", "failed"]);
        counters.add("failed");
        let mut page = Page::default();
        page.counters("jobs_total", "Ended.", &counters);
        let text = page.finish();
        assert!(text.contains("jobs_total{status=\"completed\"} 0\n"), "{text}");
        assert!(text.contains("jobs_total{status=\"failed\"} 1\n"), "{text}");
    }

    #[test]
    fn what_a_label_must_not_hold_is_escaped() {
        let mut page = Page::default();
        page.gauges("info", "About\n\\.", [([("name", "a \"b\"\\\nc")], 1.0)]);
        assert_eq!(
            page.finish(),
            "# HELP info About\\n\\\\.\n# TYPE info gauge\ninfo{name=\"a \\\"b\\\"\\\\\\nc\"} 1\n"
        );
    }

    #[test]
    fn a_family_without_samples_is_not_told() {
        let mut page = Page::default();
        page.gauges("nothing", "None.", Vec::<(Vec<(&str, &str)>, f64)>::new());
        assert_eq!(page.finish(), "");
    }
}
