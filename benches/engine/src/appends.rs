//! One writer, one small batch at a time, each synced before the next.

use std::sync::Arc;

use tapebook::{Db, Durability};
use tapebook_record::SharedBytes;
use tapebook_vfs::{RealVfs, Vfs};
use tapebook_wal::{Proposal, WalOptions};

use crate::bare::BareFile;
use crate::log::{self, frame_bytes};
use crate::measure::{Runs, cost, mean, median};
use crate::report::Line;
use crate::setting::Setting;
use crate::{AnyError, input};

const PAYLOAD_BYTES: usize = 128;
const APPENDS_OF_SLICE: u64 = 50;
const SLICES: u64 = 40;

/// Microseconds of one append: of the log, of the database, and of bare writes of the same bytes.
pub fn one_writer(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let wal = log::open(&vfs, &dir.path().join("log"), WalOptions::default())?;
    let db = Db::open(dir.path().join("db"))?;
    let mut bare = BareFile::prepared(&dir.path().join("bare"), 64 << 20)?;
    let payload = SharedBytes::from(&[0x5a; PAYLOAD_BYTES][..]);
    let batch_bytes = input::one_trade(0)?.encoded_bytes();
    let frame = vec![0x5a; frame_bytes(PAYLOAD_BYTES)];
    let trade_frame = vec![0x5a; frame_bytes(batch_bytes)];

    let mut wall = [const { Vec::new() }; 4];
    let mut cpu = [const { Vec::new() }; 4];
    let mut runs: [Runs; 4] = Default::default();
    for _ in 0..setting.runs {
        wall.iter_mut().for_each(Vec::clear);
        for slice in 0..setting.size(SLICES) {
            // Another one begins each time, so that none always follows the same one.
            for variant in (0..4).map(|at| (at + slice as usize) % 4) {
                let (took, done) = cost(|| -> Result<(), AnyError> {
                    for _ in 0..APPENDS_OF_SLICE {
                        match variant {
                            0 => bare.write(&frame)?,
                            1 => wal
                                .append(Proposal::batch(1, 1, payload.clone()), None)
                                .map_err(log::refused)?,
                            2 => bare.write(&trade_frame)?,
                            _ => {
                                db.append(input::next_trade()?, Durability::Synced)?.wait()?;
                            }
                        }
                    }
                    Ok(())
                });
                done?;
                wall[variant].push(took.wall_seconds * 1e6 / APPENDS_OF_SLICE as f64);
                cpu[variant].push(took.cpu_seconds * 1e6 / APPENDS_OF_SLICE as f64);
            }
        }
        for (runs, wall) in runs.iter_mut().zip(&wall) {
            runs.push(median(wall));
        }
    }
    let lines = [
        (format!("append to the log, {PAYLOAD_BYTES} B payload, synced, one writer"), 1, 0, frame.len()),
        (
            format!("`Db::append` of one trade ({batch_bytes} B batch), synced, one writer"),
            3,
            2,
            trade_frame.len(),
        ),
    ];
    for (what, at, beside, bytes) in lines {
        Line {
            what: &what,
            unit: "µs",
            measured: &runs[at],
            baseline: Some(("`pwrite` + `fdatasync`", &runs[beside])),
            note: format!(
                "{bytes} B written; CPU {:.1} µs against {:.1} µs; 1 in flight; both files prepared",
                mean(&cpu[at]),
                mean(&cpu[beside]),
            ),
        }
        .print();
    }
    Ok(())
}
