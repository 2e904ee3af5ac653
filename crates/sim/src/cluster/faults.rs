//! What goes wrong.

use super::Cluster;
use super::server::End;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    PowerCut,
    AllDown,
    Start,
    Isolate,
    OneWay,
    Heal,
    SlowNetwork,
    SlowDisk,
    MoveLead,
}

impl Cluster {
    pub(super) async fn one_fault(&mut self) -> Result<(), String> {
        let fault = self.random.weighted(&[
            (6, Fault::Kill),
            (6, Fault::PowerCut),
            (1, Fault::AllDown),
            (14, Fault::Start),
            (5, Fault::Isolate),
            (5, Fault::OneWay),
            (8, Fault::Heal),
            (3, Fault::SlowNetwork),
            (3, Fault::SlowDisk),
            (4, Fault::MoveLead),
        ]);
        let at = self.random.below(self.servers.len() as u64) as usize;
        let node_id = self.servers[at].node_id;
        let name = match fault {
            Fault::Kill => {
                self.end(at, End::Kill);
                "kill"
            }
            Fault::PowerCut => {
                self.end(at, End::PowerCut);
                "power cut"
            }
            Fault::AllDown => {
                let end = if self.random.chance(50) { End::Kill } else { End::PowerCut };
                (0..self.servers.len()).for_each(|at| self.end(at, end));
                "all down"
            }
            Fault::Start => {
                self.start(at).await?;
                "start"
            }
            Fault::Isolate => {
                self.log.line(format_args!("node {node_id} is cut off"));
                for other in self.others(node_id) {
                    self.network.cut(node_id, other);
                    self.network.cut(other, node_id);
                }
                "cut off"
            }
            Fault::OneWay => {
                let others = self.others(node_id);
                let other = *self.random.pick(&others);
                self.log.line(format_args!("nothing gets from node {node_id} to node {other}"));
                self.network.cut(node_id, other);
                "one way"
            }
            Fault::Heal => {
                self.log.line(format_args!("the network is whole"));
                self.network.heal();
                "heal"
            }
            Fault::SlowNetwork => {
                self.log.line(format_args!("the network is slow"));
                self.network.be_slow(1_000..20_000, 5);
                "slow network"
            }
            Fault::SlowDisk => {
                let micros = *self.random.pick(&[100, 200, 1_000, 20_000, 200_000]);
                self.log.line(format_args!("the disk of node {node_id} takes {micros} µs"));
                self.servers[at].set_sync_micros(micros);
                "disk speed"
            }
            Fault::MoveLead => {
                let leader = self
                    .leader()
                    .and_then(|leader| self.servers.iter().find(|server| server.node_id == leader));
                if let Some(leader) = leader.and_then(|server| server.contact()) {
                    self.log.line(format_args!("the lead shall go to node {node_id}"));
                    // Who has lost the lead meanwhile refuses.
                    let _ = leader.node.transfer_lead(node_id).await;
                }
                "move the lead"
            }
        };
        *self.faults.entry(name).or_default() += 1;
        Ok(())
    }

    fn others(&self, node_id: u64) -> Vec<u64> {
        self.servers.iter().map(|server| server.node_id).filter(|other| *other != node_id).collect()
    }
}
