//! Medians and means.

use std::fmt;

/// The median; of an even number, the upper one.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The mean of ratios.
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<_> = values.into_iter().map(f64::ln).collect();
    let count = logarithms.len();
    (count > 0).then(|| (logarithms.into_iter().sum::<f64>() / count as f64).exp())
}

/// How long a cache line took to the other core: the cores of one distance are not always the same two.
#[derive(Clone, Copy, Debug)]
pub struct OneWay {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl OneWay {
    pub(crate) fn over(mut nanos: Vec<f64>) -> Option<OneWay> {
        nanos.sort_by(f64::total_cmp);
        Some(OneWay { least: *nanos.first()?, median: nanos[nanos.len() / 2], most: *nanos.last()? })
    }
}

impl fmt::Display for OneWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OneWay { least, median, most } = self;
        write!(f, "a cache line took {median:.1} ns one way ({least:.1} to {most:.1})")
    }
}
