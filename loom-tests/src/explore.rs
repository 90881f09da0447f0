//! Running a model and checking that it did what it should.

use loom::model::Builder;
use std::any::type_name_of_val;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{env, fs};

/// Each preemption more multiplies the executions; two find every mutant in `mutants.txt`.
const PREEMPTIONS: usize = 2;
/// A path longer than this is an endless loop.
const BRANCHES: usize = 5_000;
/// The environment variable that says what to do with the table: `1` writes it, `off` ignores it.
const PIN: &str = "RINGFILE_PIN";

/// Explores a model and compares its outcomes with the expected ones, which are given as `{:?}` writes them,
/// and its executions with the pinned number.
///
/// `LOOM_MAX_PREEMPTIONS` explores more, and then nothing is pinned.
pub fn explore<O: Debug, const N: usize>(expected: [&str; N], model: impl Fn() -> O + Send + Sync + 'static) {
    explore_deeper(expected, [], model);
}

/// The same for a model that has other outcomes as well when it is explored with more than two preemptions.
pub fn explore_deeper<O: Debug, const N: usize, const M: usize>(
    expected: [&str; N],
    deeper: [&str; M],
    model: impl Fn() -> O + Send + Sync + 'static,
) {
    let name = name_of(&model);
    let executions = Arc::new(AtomicUsize::new(0));
    let outcomes = Arc::new(Mutex::new(BTreeMap::new()));
    bounded().check({
        let (executions, outcomes) = (executions.clone(), outcomes.clone());
        move || {
            let outcome = format!("{:?}", model());
            executions.fetch_add(1, Ordering::Relaxed);
            *outcomes.lock().unwrap().entry(outcome).or_insert(0) += 1;
        }
    });

    let executions = executions.load(Ordering::Relaxed);
    println!("model {name}: {executions} executions");
    let is_deeper = bounded().preemption_bound > Some(PREEMPTIONS);
    let expected = expected.into_iter().chain(deeper.into_iter().filter(|_| is_deeper)).collect();
    compare(&name, expected, &outcomes.lock().unwrap());
    pin(&name, executions);
}

/// Explores what two preemptions reach, or as many as the environment says.
pub(crate) fn bounded() -> Builder {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = BRANCHES;
    builder
}

/// The test that a model's closure stands in: `file::test`.
pub(crate) fn name_of<M>(model: &M) -> String {
    type_name_of_val(model).replace("::{{closure}}", "")
}

fn compare(name: &str, expected: BTreeSet<&str>, outcomes: &BTreeMap<String, usize>) {
    let wrong: Vec<_> = outcomes.iter().filter(|(o, _)| !expected.contains(o.as_str())).collect();
    let missing: Vec<_> = expected.iter().filter(|o| !outcomes.contains_key(**o)).collect();
    assert!(
        wrong.is_empty() && missing.is_empty(),
        "{name}: outcomes that must not be, and in how many executions: {wrong:#?}\n\
         expected and never seen: {missing:#?}"
    );
}

/// Compares with the table, or writes it. Loom is deterministic: another number is another model.
pub(crate) fn pin(name: &str, executions: usize) {
    if Builder::new().preemption_bound.is_some() {
        return;
    }
    static TABLE: Mutex<()> = Mutex::new(());
    let _alone = TABLE.lock();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("executions.txt");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut table: BTreeMap<&str, usize> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, n)| (name, n.trim().parse().expect("executions.txt: a name and a number in each line")))
        .collect();
    match env::var(PIN).as_deref() {
        Ok("off") => {}
        Ok(_) => {
            table.insert(name, executions);
            let lines: String = table.iter().map(|(name, n)| format!("{name} {n}\n")).collect();
            fs::write(&path, lines).expect("executions.txt can be written");
        }
        Err(_) => assert_eq!(
            table.get(name),
            Some(&executions),
            "{name}: executions are not as pinned in executions.txt. If the model or the protocol was changed on \
             purpose, run again with {PIN}=1"
        ),
    }
}
