//! The protocol core under simulation: faults by the seed, and what must hold after them.
//!
//! `TRELLIS_SIM_SEED=n` runs seed n alone; a failure prints that command. `TRELLIS_SIM_SEEDS=n` runs n seeds.
//! `TRELLIS_SIM_NODES=n` sizes the large run, whose figures `--nocapture` shows.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures")]

#[path = "simulation/memory.rs"]
mod memory;
mod simulation;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::RngExt;
use simulation::network::Conditions;
use simulation::world::{World, site};
use trellis_replication::protocol::{MemberState, Span};

/// Seeds of a plain `cargo test`.
const SEEDS: u64 = 150;
/// How long a cluster may take to agree after the last fault.
const CONVERGE: Span = Span::from_ms(90_000);

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn random_conditions(world: &mut World) -> Conditions {
    let rng = &mut world.rng;
    Conditions {
        delay_us: rng.random_range(100..60_000),
        jitter: rng.random_range(0.0..2.0),
        loss: if rng.random_bool(0.5) { 0.0 } else { rng.random_range(0.0..0.2) },
        duplication: rng.random_range(0.0..0.1),
    }
}

fn quiet() -> Conditions {
    Conditions { delay_us: 200, jitter: 0.2, loss: 0.0, duplication: 0.0 }
}

/// One random step of load or trouble.
fn disturb(world: &mut World, schema: &mut u64) {
    let nodes = world.nodes.len();
    let node = world.rng.random_range(0..nodes);
    let other = world.rng.random_range(0..nodes);
    match world.rng.random_range(0..100) {
        0..70 => {
            let size = if world.rng.random_bool(0.02) { 400_000 } else { 60 };
            let needed = world.nodes[node].store.schema;
            let mut body = format!("needs:{needed} at {}", world.now.0).into_bytes();
            body.resize(world.rng.random_range(40..40 + size), b'.');
            world.commit(node, body);
        }
        70..73 => {
            // A large transaction; some of its chunks are larger than a pull asks for.
            let count = world.rng.random_range(2..20);
            let chunks = (0..count).map(|number| {
                let size = if world.rng.random_bool(0.02) { 3_000_000 } else { 30_000 };
                let mut body = format!("chunk {number} at {}", world.now.0).into_bytes();
                body.resize(world.rng.random_range(20..20 + size), b'.');
                body
            });
            let chunks = chunks.collect();
            world.commit_chunks(node, chunks);
        }
        73..76 => {
            // A burst, as of a bulk load.
            for number in 0..world.rng.random_range(10..300) {
                world.commit(node, format!("burst {number}").into_bytes());
            }
        }
        76..80 => {
            *schema += 1;
            if world.commit(node, format!("schema:{schema}").into_bytes()) {
                world.nodes[node].store.schema = *schema;
                world.input(node, trellis_replication::protocol::Input::SchemaChanged);
            }
        }
        80..84 => world.crash(node),
        84 => world.nodes[node].store.trim(),
        85..90 => {
            if world.nodes[node].replica.is_none() {
                world.start(node);
            }
        }
        90..93 if node != other => world.block(node, other),
        93..95 if node != other => world.block_briefly(node, other),
        95..97 => {
            let side: Vec<bool> = (0..nodes).map(|_| world.rng.random_bool(0.5)).collect();
            for from in 0..nodes {
                for to in (0..nodes).filter(|&to| side[from] != side[to]) {
                    world.block(from, to);
                }
            }
        }
        _ => world.heal(),
    }
}

/// Runs until all nodes agree; panics if they do not.
fn converge(world: &mut World) {
    let deadline = world.now + CONVERGE;
    while !world.is_converged() {
        assert!(world.now < deadline, "no agreement: {}", disagreement(world));
        world.run_until(world.now + Span::from_ms(100));
    }
}

fn disagreement(world: &World) -> String {
    let rows = world.nodes.iter().enumerate().map(|(index, node)| {
        let heads: Vec<u64> = node.store.heads().values().map(|head| head.0).collect();
        let waiting = node.replica.as_ref().map(|it| it.origins());
        format!("\nnode {index} {:?}: {heads:?} waiting {waiting:?}", node.site)
    });
    rows.collect()
}

fn check_outcome(world: &World) {
    assert!(world.nodes.iter().all(|node| !node.forked), "a false alarm");
    for origin in &world.nodes {
        let committed = origin.store.bodies(origin.site);
        assert_eq!(committed.len(), origin.committed_at.len(), "an acknowledged commit is lost");
        for node in &world.nodes {
            assert!(node.store.bodies(origin.site) == committed, "logs differ");
        }
    }
}

fn run_seed(seed: u64) {
    let mut world = World::new(seed, 5 + (seed % 4) as usize, quiet());
    world.network.conditions = random_conditions(&mut world);
    world.tuning.fanout = world.rng.random_range(1..8);
    let first = world.rng.random_range(2..=world.nodes.len());
    for node in 0..first {
        world.start(node);
    }
    let mut schema = 0;
    for _ in 0..world.rng.random_range(30..150) {
        disturb(&mut world, &mut schema);
        let pause = world.rng.random_range(0..400_000);
        world.run_until(world.now + Span(pause));
    }
    world.heal();
    for node in 0..world.nodes.len() {
        if world.nodes[node].replica.is_none() {
            world.start(node);
        }
    }
    converge(&mut world);
    check_outcome(&world);
}

/// Whatever happens to a small cluster, after it heals all nodes hold every commit, in order.
#[test]
fn seeds_converge() {
    if let Some(seed) = number_from_env("TRELLIS_SIM_SEED") {
        return run_seed(seed);
    }
    for seed in 0..number_from_env("TRELLIS_SIM_SEEDS").unwrap_or(SEEDS) {
        if catch_unwind(AssertUnwindSafe(|| run_seed(seed))).is_err() {
            panic!(
                "replay: TRELLIS_SIM_SEED={seed} cargo test -p trellis-replication --test sim seeds_converge"
            );
        }
    }
}

/// The same seed gives the same run, to the last counter.
#[test]
fn a_seed_replays_exactly() {
    let figures = |seed| {
        let mut world = World::new(seed, 5, quiet());
        (0..5).for_each(|node| world.start(node));
        let mut schema = 0;
        for _ in 0..100 {
            disturb(&mut world, &mut schema);
            world.run_until(world.now + Span::from_ms(100));
        }
        let sent = world.total(|stats| stats.frame_bytes_sent + stats.datagram_bytes_sent);
        (sent, world.latencies_us)
    };
    assert_eq!(figures(11), figures(11));
}

fn percentile(sorted: &[u64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize] as f64 / 1_000.0
}

/// A large cluster at 20 ms round trip: each node gets each change about once, within a few hops.
#[test]
fn large_cluster_gets_one_copy_each() {
    let count = number_from_env("TRELLIS_SIM_NODES").unwrap_or(100) as usize;
    for (name, loss, dead) in
        [("quiet", 0.0, 0), ("2 % loss", 0.02, 0), ("5 % dead", 0.0, count / 20)]
    {
        let conditions = Conditions { delay_us: 10_000, jitter: 0.15, loss, duplication: 0.0 };
        let mut world = World::new(1, count, conditions);
        world.start_all_known();
        // The first commits make the connections of the tree.
        for _ in 0..3 {
            world.commit(0, vec![0; 100]);
            world.run_until(world.now + Span::from_ms(1_000));
        }
        for node in 0..dead {
            world.crash(count - 1 - node * 7);
        }
        world.latencies_us.clear();
        let before = counters(&world);
        let commits = 20;
        let from = world.now;
        for _ in 0..commits {
            world.commit(0, vec![0; 100]);
            world.run_until(world.now + Span::from_ms(250));
        }
        let seconds = (world.now - from).0 as f64 / 1e6;
        let after = counters(&world);
        converge(&mut world);
        let delivered = (commits * (count - 1 - dead)) as f64;
        let copies = (after.0 - before.0) as f64 / delivered;
        let mut latencies = world.latencies_us.clone();
        latencies.sort_unstable();
        println!(
            "{count} nodes, {name}: copies per delivery {copies:.3}, node p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, \
             pulled {:.2} %, frame bytes per change and node {:.0}, datagram bytes per second and node {:.0}",
            percentile(&latencies, 0.5),
            percentile(&latencies, 0.99),
            percentile(&latencies, 1.0),
            100.0 * (after.1 - before.1) as f64 / delivered,
            (after.2 - before.2) as f64 / delivered,
            (after.3 - before.3) as f64 / (seconds * (count - dead) as f64),
        );
        assert!(copies <= 1.1, "{copies} copies per delivery");
        assert_eq!(latencies.len(), delivered as usize);
    }
}

/// Copies sent, changesets pulled, bytes of frames, bytes of datagrams.
fn counters(world: &World) -> (u64, u64, u64, u64) {
    (
        world.total(|stats| stats.live_sent),
        world.total(|stats| stats.pulled),
        world.total(|stats| stats.frame_bytes_sent),
        world.total(|stats| stats.datagram_bytes_sent),
    )
}

/// A dead node is noticed within seconds; heavy loss alone raises no alarm.
#[test]
fn failures_are_noticed_and_loss_is_not_one() {
    let lossy = Conditions { delay_us: 500, jitter: 0.5, loss: 0.3, duplication: 0.0 };
    let mut world = World::new(3, 5, lossy);
    (0..5).for_each(|node| world.start(node));
    for _ in 0..600 {
        world.run_until(world.now + Span::from_ms(100));
        assert_eq!(downs(&world), 0, "false alarm after {:?}", world.now);
    }
    world.network.conditions = quiet();
    world.run_until(world.now + Span::from_ms(10_000));
    world.crash(4);
    let crashed = world.now;
    while downs(&world) < 4 {
        world.run_until(world.now + Span::from_ms(50));
    }
    let noticed = world.now - crashed;
    println!("a dead node is noticed by all after {} ms", noticed.0 / 1_000);
    assert!(noticed < Span::from_ms(12_000));
}

/// A process that stands still for five seconds is not declared dead, and its own alarms do not go off when it resumes.
#[test]
fn a_stall_is_not_a_death() {
    let mut world = World::new(4, 5, quiet());
    (0..5).for_each(|node| world.start(node));
    for round in 0..20 {
        world.run_until(world.now + Span::from_ms(7_000 + 130 * round));
        world.nodes[round as usize % 5].paused_until = world.now + Span::from_ms(5_000);
        for _ in 0..80 {
            world.run_until(world.now + Span::from_ms(100));
            assert_eq!(downs(&world), 0, "false alarm after {:?}", world.now);
        }
    }
}

/// Members that some node takes for dead.
fn downs(world: &World) -> usize {
    let running = world.nodes.iter().filter_map(|node| node.replica.as_ref());
    let lists = running.flat_map(|replica| replica.members());
    lists.filter(|member| member.state == MemberState::Down).count()
}

/// A store that does not keep up: what waits for it stays bounded, and it gets everything in the end.
#[test]
fn a_slow_store_is_not_flooded() {
    let mut world = World::new(6, 3, quiet());
    world.nodes[2].store_us = 400_000;
    (0..3).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    for _ in 0..500 {
        world.commit(0, vec![0; 100_000]);
        world.commit(1, vec![0; 100_000]);
        world.run_until(world.now + Span::from_ms(5));
    }
    assert!(!world.is_converged());
    assert!(world.total(|stats| stats.live_shed) > 0, "the bound was not reached");
    converge(&mut world);
    check_outcome(&world);
}

/// A changeset that one store refuses holds up its origin there and nothing else; it is shown, and tried again.
#[test]
fn poison_holds_up_one_origin_only() {
    let mut world = World::new(7, 3, quiet());
    (0..3).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    world.commit(1, b"first".to_vec());
    converge(&mut world);
    world.nodes[2].store.refuses_poison = true;
    world.commit(0, b"poison".to_vec());
    world.commit(0, b"behind it".to_vec());
    world.commit(1, b"elsewhere".to_vec());
    world.run_until(world.now + Span::from_ms(5_000));
    assert_eq!(world.nodes[2].store.bodies(site(0)).len(), 0);
    assert_eq!(world.nodes[2].store.bodies(site(1)).len(), 2);
    let shown = world.nodes[2].replica.as_ref().unwrap().origins();
    assert!(shown.iter().any(|it| it.blocked.as_deref() == Some("poison") && it.attempts > 1));
    world.nodes[2].store.refuses_poison = false;
    converge(&mut world);
}

/// A node whose database was restored from an older copy learns of its own lost tail and fetches it.
#[test]
fn a_restored_node_fetches_its_own_tail() {
    let mut world = World::new(8, 3, quiet());
    (0..3).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    world.commit(2, b"in the copy".to_vec());
    let copy = world.nodes[2].store.clone();
    world.commit(2, b"after the copy".to_vec());
    world.run_until(world.now + Span::from_ms(2_000));
    world.crash(2);
    world.restore(2, copy);
    world.start(2);
    converge(&mut world);
    assert_eq!(world.nodes[2].store.bodies(site(2)).len(), 2);
    assert_eq!(world.nodes[2].replica.as_ref().unwrap().stats().own_head_elsewhere, 2);
}

/// A node that was away for long catches up from several peers without getting anything twice.
#[test]
fn catch_up_brings_nothing_twice() {
    let mut world = World::new(5, 4, quiet());
    (0..4).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    world.commit(0, vec![0; 200]);
    converge(&mut world);
    world.crash(3);
    world.run_until(world.now + Span::from_ms(10_000));
    for number in 0..5_000 {
        world.commit(number % 3, vec![0; 200]);
        if number % 50 == 0 {
            world.run_until(world.now + Span::from_ms(10));
        }
    }
    world.run_until(world.now + Span::from_ms(2_000));
    world.start(3);
    let started = world.now;
    converge(&mut world);
    let stats = world.nodes[3].replica.as_ref().unwrap().stats();
    println!("caught up on {} in {} ms", stats.pulled, (world.now - started).0 / 1_000);
    assert_eq!((stats.pulled, stats.pulled_duplicates), (5_000, 0));
    assert_eq!(world.nodes[3].store.bodies(site(0)).len(), 1_668);
}

/// A large transaction that has come in part, and whose rest is in nobody's log any more, comes with the state of a peer.
#[test]
fn a_transaction_without_its_rest_comes_with_the_state() {
    let mut world = World::new(9, 3, quiet());
    (0..3).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    world.commit(0, b"first".to_vec());
    converge(&mut world);
    world.crash(2);
    world.nodes[2].store_us = 100_000;
    world.commit_chunks(0, (0..60).map(|_| vec![1; 500_000]).collect());
    world.run_until(world.now + Span::from_ms(20_000));
    assert!(world.is_converged());
    world.nodes[1].store.trim();
    world.block(1, 2);
    world.block(2, 1);
    world.start(2);
    while world.nodes[2].store.progress().get(&site(0)).is_none_or(|it| it.chunks < 10) {
        world.run_until(world.now + Span::from_ms(10));
    }
    world.crash(0);
    world.heal();
    converge(&mut world);
    assert_eq!(world.nodes[2].store.bodies(site(0)).len(), 2);
    assert_eq!(world.nodes[2].replica.as_ref().unwrap().stats().transfers, 1);
    world.start(0);
    converge(&mut world);
    check_outcome(&world);
}

/// A node that comes empty takes the state of one peer, also when it loses that peer in the middle, and the rest from logs.
#[test]
fn an_empty_node_takes_a_state_through_lost_connections() {
    let mut world = World::new(10, 4, quiet());
    (0..3).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    for number in 0..300 {
        world.commit(number % 3, vec![0; 100_000]);
        world.run_until(world.now + Span::from_ms(20));
    }
    (0..3).for_each(|node| world.nodes[node].store.trim());
    world.nodes[3].store_us = 1_000_000;
    world.start(3);
    world.run_until(world.now + Span::from_ms(1_500));
    for round in 0..3 {
        assert!(world.nodes[3].store.heads().is_empty(), "it has a part of the state");
        let links: Vec<_> = world.network.ends_of(3).into_iter().map(|end| end.link).collect();
        links.into_iter().for_each(|link| world.break_link(3, link));
        world.commit(round % 3, vec![0; 1_000]);
        world.run_until(world.now + Span::from_ms(1_000));
    }
    converge(&mut world);
    check_outcome(&world);
    let stats = world.nodes[3].replica.as_ref().unwrap().stats();
    assert_eq!(stats.transfers, 1, "it started over");
    assert!(stats.pulled < 10, "{} pulled", stats.pulled);
}

/// A server that does not keep what it was being asked for makes the asker start over, and nothing is lost.
#[test]
fn a_state_that_is_gone_is_started_over() {
    let mut world = World::new(11, 3, quiet());
    (0..2).for_each(|node| world.start(node));
    world.run_until(world.now + Span::from_ms(3_000));
    for number in 0..200 {
        world.commit(number % 2, vec![0; 100_000]);
        world.run_until(world.now + Span::from_ms(20));
    }
    (0..2).for_each(|node| world.nodes[node].store.trim());
    world.nodes[2].store_us = 1_000_000;
    world.start(2);
    world.run_until(world.now + Span::from_ms(2_000));
    assert!(world.nodes[2].store.heads().is_empty());
    (0..2).for_each(|node| world.nodes[node].store.forget_states());
    converge(&mut world);
    check_outcome(&world);
    assert_eq!(world.nodes[2].replica.as_ref().unwrap().stats().transfers, 2);
}

/// A node whose database was restored from an older copy, and that wrote before it met anyone, learns of it from whoever
/// knows what the original did, whichever of the two has gone further.
#[test]
fn a_forked_node_learns_of_it_from_whom_it_meets() {
    for (original, copy) in [(3, 1), (2, 2), (1, 3)] {
        let mut world = World::new(12, 3, quiet());
        (0..3).for_each(|node| world.start(node));
        world.run_until(world.now + Span::from_ms(3_000));
        world.commit(2, b"in the copy".to_vec());
        world.run_until(world.now + Span::from_ms(1_000));
        let backup = world.nodes[2].store.clone();
        for number in 0..original {
            world.commit(2, format!("of the original {number}").into_bytes());
        }
        world.run_until(world.now + Span::from_ms(1_000));
        world.crash(2);
        world.restore(2, backup);
        (0..2).for_each(|node| world.block(2, node));
        world.start(2);
        for number in 0..copy {
            world.commit(2, format!("of the copy {number}").into_bytes());
        }
        world.run_until(world.now + Span::from_ms(3_000));
        assert!(!world.nodes[2].forked);
        world.heal();
        while !world.nodes[2].forked {
            assert!(
                world.now < simulation::world::moment(60_000),
                "{original} {copy}: nobody noticed"
            );
            world.run_until(world.now + Span::from_ms(10));
        }
    }
}
