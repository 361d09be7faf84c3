//! Several nodes that know each other, directly or through a [`Relay`].

use anyhow::{Context, Result, bail};

use crate::node::{Node, NodeOptions};
use crate::relay::Relay;
use crate::wait;
use crate::work_dir::WorkDir;

/// A cluster of a test. Nodes are numbered from 1, as people talk of them.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes, in the order of their start. Dropped before the directory they write to.
    nodes: Vec<Node>,
    /// Carries the datagrams between nodes, if the test wants to interfere.
    relay: Option<Relay>,
    /// Everything the nodes write.
    directory: WorkDir,
}

impl Cluster {
    /// Starts `count` nodes that talk directly to each other.
    ///
    /// # Errors
    ///
    /// When a node does not start.
    pub fn start(name: &str, count: usize) -> Result<Self> {
        let empty = Self { nodes: Vec::new(), relay: None, directory: WorkDir::create(name)? };
        empty.grow(count)
    }

    /// Starts `count` nodes that talk to each other through a relay.
    ///
    /// # Errors
    ///
    /// When a node does not start.
    pub fn start_relayed(name: &str, count: usize) -> Result<Self> {
        let relay = Some(Relay::default());
        let empty = Self { nodes: Vec::new(), relay, directory: WorkDir::create(name)? };
        empty.grow(count)
    }

    /// Adds an empty node that joins through the first one, and returns its number.
    ///
    /// # Errors
    ///
    /// When the node does not start.
    pub fn add_node(&mut self) -> Result<usize> {
        let number = self.nodes.len() + 1;
        let mut options = NodeOptions::default();
        let attachment = match &mut self.relay {
            Some(relay) => Some(relay.attach()?),
            None => None,
        };
        options.advertise = attachment.as_ref().map(|attachment| attachment.advertise);
        if let Some(first) = self.nodes.first() {
            let through_relay = self.relay.as_ref().and_then(|relay| relay.address_of(1));
            options.join.push(through_relay.unwrap_or(first.endpoints().gossip));
        }
        let name = format!("node{number}");
        let node = Node::start(self.directory.path(), &name, options)?;
        if let Some(attachment) = attachment {
            attachment.deliver_to(node.endpoints().gossip);
        }
        self.nodes.push(node);
        Ok(number)
    }

    /// The node with that number, counted from 1.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number - 1]
    }

    /// The node with that number, to be killed or restarted.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn node_mut(&mut self, number: usize) -> &mut Node {
        &mut self.nodes[number - 1]
    }

    /// All nodes, in the order of their numbers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The relay between the nodes.
    ///
    /// # Errors
    ///
    /// When the cluster was started without one.
    pub fn relay(&self) -> Result<&Relay> {
        self.relay.as_ref().context("this cluster has no relay")
    }

    /// The cluster's directory, for files that a test hands to a client.
    pub fn directory(&self) -> &WorkDir {
        &self.directory
    }

    /// Waits until `sql` answers with the same rows on all nodes, and returns these.
    ///
    /// # Errors
    ///
    /// When the nodes do not agree in time; the error shows by how much.
    pub fn agree(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        wait::until(&format!("all nodes to agree on: {sql}"), || {
            let expected = self.node(1).query(sql)?;
            for node in self.nodes.iter().skip(1) {
                let found = node.query(sql)?;
                if found != expected {
                    bail!("{}", difference(node.name(), &expected, &found));
                }
            }
            Ok(Some(expected))
        })
    }

    /// Waits until `sql` yields exactly `expected`, one value per row, on all nodes.
    ///
    /// # Errors
    ///
    /// When a node does not get there in time; the error shows what it has instead.
    pub fn all_answer(&self, sql: &str, expected: &[&str]) -> Result<()> {
        for node in &self.nodes {
            wait::until(&format!("{} to answer {expected:?} to: {sql}", node.name()), || {
                let rows = node.query(sql)?;
                let found: Vec<&str> = rows.iter().map(|row| first_value(row)).collect();
                if found != expected {
                    bail!("it answered {found:?}");
                }
                Ok(Some(()))
            })?;
        }
        Ok(())
    }

    /// Fails if any node's log mentions a panic.
    ///
    /// # Errors
    ///
    /// The first such line.
    pub fn assert_no_panic(&self) -> Result<()> {
        self.nodes.iter().try_for_each(Node::assert_no_panic)
    }

    /// Ends a test that passed: no node may have panicked, and the files are removed.
    ///
    /// # Errors
    ///
    /// The first line of a log that mentions a panic; then the files stay.
    pub fn finish(mut self) -> Result<()> {
        self.assert_no_panic()?;
        self.nodes.clear();
        self.directory.remove();
        Ok(())
    }

    /// Adds nodes until there are `count`.
    fn grow(mut self, count: usize) -> Result<Self> {
        while self.nodes.len() < count {
            self.add_node()?;
        }
        Ok(self)
    }
}

/// The first value of a row, NULL spelt out.
fn first_value(row: &[Option<String>]) -> &str {
    row.first().and_then(Option::as_deref).unwrap_or("NULL")
}

/// Says in one line how two answers differ.
fn difference(
    name: &str,
    expected: &[Vec<Option<String>>],
    found: &[Vec<Option<String>>],
) -> String {
    let position = expected.iter().zip(found).position(|(left, right)| left != right);
    match position {
        Some(row) => format!(
            "row {row} is {:?} on {name} and {:?} on node1 ({} and {} rows)",
            found[row],
            expected[row],
            found.len(),
            expected.len()
        ),
        None => format!("{name} has {} rows, node1 has {}", found.len(), expected.len()),
    }
}
