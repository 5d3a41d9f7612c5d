//! The store against a model of it: whatever is done to it in whatever order, it says what a table in memory says.
//!
//! The model knows the rules of the queue and nothing of SQL. Claims that were lost are kept and used again, as workers that
//! do not know yet would.

use std::collections::HashMap;

use proptest::prelude::*;

use super::tests::{BOUNDS, Table, again, checkpoint, output, request, table};
use super::*;
use crate::jobs::{CancelOutcome, Client, EventKind, NewJob, Priority};

#[derive(Clone, Debug)]
enum Step {
    Add { client: u8, priority: Priority },
    TakeUp { overdue: bool },
    Chunk { worker: usize },
    Finish { worker: usize },
    Fail { worker: usize },
    GiveWay { worker: usize },
    PutBack { worker: usize },
    TryAgain { worker: usize },
    Cancel { job: usize },
    RetryByHand { job: usize },
    Delete { job: usize },
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::Interactive)];
    let which = 0_usize..64;
    prop_oneof![
        4 => (0_u8..3, priority).prop_map(|(client, priority)| Step::Add { client, priority }),
        4 => any::<bool>().prop_map(|overdue| Step::TakeUp { overdue }),
        2 => which.clone().prop_map(|worker| Step::Chunk { worker }),
        2 => which.clone().prop_map(|worker| Step::Finish { worker }),
        2 => which.clone().prop_map(|worker| Step::Fail { worker }),
        1 => which.clone().prop_map(|worker| Step::GiveWay { worker }),
        1 => which.clone().prop_map(|worker| Step::PutBack { worker }),
        1 => which.clone().prop_map(|worker| Step::TryAgain { worker }),
        2 => which.clone().prop_map(|job| Step::Cancel { job }),
        2 => which.clone().prop_map(|job| Step::RetryByHand { job }),
        1 => which.prop_map(|job| Step::Delete { job }),
        1 => Just(Step::Die),
    ]
}

/// What the rules say about one job.
#[derive(Clone, Debug)]
struct Known {
    id: JobId,
    client: u8,
    priority: Priority,
    status: JobStatus,
    starts: u32,
    crashes: u32,
    has_chunk: bool,
    /// The number of the claim that holds it.
    held_by: Option<usize>,
    /// Its place among its client's jobs of this priority.
    order: usize,
}

struct Machine {
    table: Table,
    jobs: Vec<Known>,
    claims: Vec<(Claim, JobId)>,
    arrivals: usize,
}

impl Machine {
    fn job(&mut self, id: JobId) -> Option<&mut Known> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// A claim, and whether it still stands.
    fn claim(&mut self, worker: usize) -> Option<(usize, Claim, bool)> {
        let index = worker.checked_rem(self.claims.len())?;
        let (claim, id) = self.claims[index].clone();
        let stands = self.job(id).is_some_and(|job| job.held_by == Some(index));
        Some((index, claim, stands))
    }

    fn end(&mut self, index: usize, status: JobStatus) {
        let id = self.claims[index].1;
        if let Some(job) = self.job(id) {
            job.status = status;
            job.held_by = None;
        }
    }

    async fn play(&mut self, step: Step) {
        let store = self.table.store.clone();
        match step {
            Step::Add { client, priority } => {
                let id = JobId::new();
                let name = Client { owner: String::new(), name: client.to_string() };
                let new = NewJob { client: name, ..NewJob::new(request("x"), priority) };
                assert_eq!(store.add(vec![(id, new)], 1000, BOUNDS).await.unwrap(), Addition::Added);
                self.arrivals += 1;
                let order = self.arrivals;
                self.jobs.push(Known {
                    id,
                    client,
                    priority,
                    status: JobStatus::Queued,
                    starts: 0,
                    crashes: 0,
                    has_chunk: false,
                    held_by: None,
                    order,
                });
            }
            Step::TakeUp { overdue } => self.take_up(overdue).await,
            Step::Chunk { worker } => {
                let Some((index, claim, stands)) = self.claim(worker) else { return };
                assert_eq!(store.checkpoint(&claim, &checkpoint(0), 3000).await.unwrap(), stands);
                if stands {
                    let id = self.claims[index].1;
                    let job = self.job(id).unwrap();
                    (job.has_chunk, job.crashes) = (true, 0);
                }
            }
            Step::Finish { worker } => {
                let Some((index, claim, stands)) = self.claim(worker) else { return };
                assert_eq!(store.finish(&claim, &output(claim.id), 1, 3000).await.unwrap(), stands);
                if stands {
                    self.end(index, JobStatus::Completed);
                }
            }
            Step::Fail { worker } => {
                let Some((index, claim, stands)) = self.claim(worker) else { return };
                assert_eq!(store.fail(&claim, "why", 3000).await.unwrap(), stands);
                if stands {
                    self.end(index, JobStatus::Failed);
                }
            }
            Step::GiveWay { worker } => {
                let Some((index, claim, stands)) = self.claim(worker) else { return };
                assert_eq!(store.give_way(&claim).await.unwrap(), stands);
                if stands {
                    self.end(index, JobStatus::Queued);
                    let id = self.claims[index].1;
                    self.job(id).unwrap().starts -= 1;
                }
            }
            Step::PutBack { worker } => {
                let Some((index, claim, stands)) = self.claim(worker) else { return };
                assert_eq!(store.requeue(&claim).await.unwrap(), stands);
                if stands {
                    self.end(index, JobStatus::Queued);
                }
            }
            Step::TryAgain { worker } => {
                let Some((index, claim, stands)) = self.claim(worker) else { return };
                assert_eq!(store.retry(&claim, again(0)).await.unwrap(), stands);
                if stands {
                    self.end(index, JobStatus::Queued);
                }
            }
            Step::Cancel { job } => {
                let Some(index) = job.checked_rem(self.jobs.len()) else { return };
                let job = &mut self.jobs[index];
                let expected = if job.status.is_final() {
                    CancelOutcome::AlreadyFinished(job.status)
                } else {
                    (job.status, job.held_by) = (JobStatus::Cancelled, None);
                    CancelOutcome::Cancelled
                };
                assert_eq!(store.cancel(job.id, 3000).await.unwrap(), expected);
            }
            Step::RetryByHand { job } => {
                let Some(index) = job.checked_rem(self.jobs.len()) else { return };
                self.arrivals += 1;
                let order = self.arrivals;
                let job = &mut self.jobs[index];
                let is_failed = job.status == JobStatus::Failed;
                let again = store.retry_by_hand(job.id, 1000, BOUNDS).await.unwrap();
                assert_eq!(again, is_failed.then_some(Addition::Added));
                if is_failed {
                    (job.status, job.crashes, job.order) = (JobStatus::Queued, 0, order);
                }
            }
            Step::Delete { job } => {
                let Some(index) = job.checked_rem(self.jobs.len()) else { return };
                let is_final = self.jobs[index].status.is_final();
                assert_eq!(store.delete(self.jobs[index].id).await.unwrap(), is_final);
                if is_final {
                    self.jobs.remove(index);
                }
            }
            Step::Die => {
                store.recover(4000).await.unwrap();
                for job in self.jobs.iter_mut().filter(|job| job.status == JobStatus::Running) {
                    job.crashes += 1;
                    job.held_by = None;
                    job.status = if job.crashes < 3 { JobStatus::Queued } else { JobStatus::Failed };
                }
            }
        }
    }

    /// The rules: the most urgent first, the overdue among the less urgent when it is their turn; and of a client always the
    /// first. Between clients the turns decide, which have tests of their own.
    async fn take_up(&mut self, overdue: bool) {
        let store = &self.table.store;
        let next = store.next(2000, overdue.then_some(2000)).await.unwrap();
        let queued = || self.jobs.iter().filter(|job| job.status == JobStatus::Queued);
        let Some(top) = queued().map(|job| job.priority).max() else {
            assert_eq!(next, None);
            return;
        };
        let next = next.unwrap();
        let job = queued().find(|job| job.id == next.id).unwrap();
        let has_lesser = queued().any(|job| job.priority < top);
        if overdue && has_lesser {
            assert!(job.priority < top && next.is_overdue);
        } else {
            assert_eq!((job.priority, next.is_overdue), (top, false));
            let rivals =
                queued().filter(|other| other.priority == job.priority && other.client == job.client);
            assert_eq!(rivals.map(|other| other.order).min(), Some(job.order), "first come, first served");
        }
        let id = next.id;
        let claimed = store.claim(&next, 0, 2000).await.unwrap().unwrap();
        let index = self.claims.len();
        self.claims.push((claimed.claim, id));
        let job = self.job(id).unwrap();
        job.status = JobStatus::Running;
        job.starts += 1;
        job.held_by = Some(index);
    }

    /// Every row, and the last event of every job.
    async fn compare(&self) {
        let store = &self.table.store;
        let mut last: HashMap<String, EventKind> = HashMap::new();
        for event in store.events_after(0, 100_000).await.unwrap() {
            if event.kind != EventKind::Chunk {
                last.insert(event.job.to_string(), event.kind);
            }
        }
        for known in &self.jobs {
            let job = store.get(known.id).await.unwrap().unwrap();
            assert_eq!((job.status, job.starts), (known.status, known.starts));
            let chunks = store.checkpoints(known.id).await.unwrap().len();
            assert_eq!(chunks, usize::from(known.has_chunk));
            let told = last[&known.id.to_string()];
            let fits = match known.status {
                JobStatus::Queued => matches!(
                    told,
                    EventKind::Queued
                        | EventKind::Yielded
                        | EventKind::Interrupted
                        | EventKind::Retrying
                        | EventKind::Retried
                ),
                JobStatus::Running => told == EventKind::Started,
                ended => told.as_str() == ended.as_str(),
            };
            assert!(fits, "{told:?} of a job that is {}", known.status);
        }
        let counts = store.counts().await.unwrap();
        let total = counts.queued + counts.running + counts.completed + counts.failed + counts.cancelled;
        assert_eq!(total, self.jobs.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_in_whatever_order_the_rules_hold(steps in prop::collection::vec(step(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut machine = Machine { table: table().await, jobs: Vec::new(), claims: Vec::new(), arrivals: 0 };
            for step in steps {
                machine.play(step).await;
            }
            machine.compare().await;
        });
    }
}
