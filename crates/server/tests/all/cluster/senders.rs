//! Messages between nodes that are not what they should be.

use tapebook_proto::v1;
use tapebook_proto::v1::cluster_client::ClusterClient;
use tapebook_server::access::Role;
use tapebook_server::tls::{Issued, Subject};
use tonic::Code;
use tonic::transport::Channel;

use crate::door::support::{Place, connect, now};

async fn cluster(server: &tapebook_server::Server, place: &Place, own: &Issued) -> ClusterClient<Channel> {
    ClusterClient::new(connect(server, Some(place.tls(Some(own)))).await.unwrap())
}

fn node_certificate(place: &Place, id: u64) -> Issued {
    let hosts = vec!["127.0.0.1".to_owned()];
    place.authority.issue(&Subject::Node { id, hosts }, now(), 30).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_node_of_this_cluster_speaks_for_itself() {
    let place = Place::new();
    let server = place.start().await;
    let mut second = cluster(&server, &place, &node_certificate(&place, 2)).await;
    let introduced = second.introduce(v1::IntroduceRequest { protocol: 1 }).await.unwrap().into_inner();
    assert_eq!((introduced.node_id, introduced.leader_id, introduced.cluster_id.len()), (1, 1, 16));

    let ours = introduced.cluster_id.clone();
    let sender =
        |cluster_id: &[u8], from, to| v1::Sender { cluster_id: cluster_id.to_vec().into(), from, to };
    let vote = v1::NodeVote { term: 9, node_id: 2, committed: false };
    let ask =
        |sender| v1::VoteRequest { sender: Some(sender), vote: Some(vote), ..v1::VoteRequest::default() };
    for (sender, code, says) in [
        (sender(&ours, 3, 1), Code::PermissionDenied, "the certificate is that of node-2"),
        (sender(&[7; 16], 2, 1), Code::FailedPrecondition, "belongs to cluster 0707"),
        (sender(&[], 2, 1), Code::FailedPrecondition, "belongs to cluster none"),
        (sender(&ours, 2, 5), Code::FailedPrecondition, "for node 5, and this is node 1"),
    ] {
        let refused = second.pre_vote(ask(sender)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(says), "{refused}");
    }
    let nobody = v1::VoteRequest { vote: Some(vote), ..v1::VoteRequest::default() };
    assert_eq!(second.vote(nobody).await.unwrap_err().code(), Code::InvalidArgument);

    // Somebody with the own id of this node, and an administrator, who is no node.
    let mut first = cluster(&server, &place, &node_certificate(&place, 1)).await;
    let refused = first.vote(ask(sender(&ours, 1, 1))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut admin = cluster(&server, &place, &place.client("admin", Role::Admin, 1)).await;
    let refused = admin.vote(ask(sender(&ours, 2, 1))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    // And a node administers nothing.
    let refused = second.remove_node(v1::RemoveNodeRequest { node_id: 1 }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = admin.remove_node(v1::RemoveNodeRequest { node_id: 1 }).await.unwrap_err();
    assert!(refused.message().contains("only one that votes"), "{refused}");
    let line = place.audit_line(|line| line["action"] == "remove_node" && line["outcome"] == "failed").await;
    assert_eq!(line["caller"], "admin");

    let status = admin.status(v1::ClusterStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.leader_id, status.nodes.len()), (1, 1));
    assert_eq!(status.nodes[0].role(), v1::NodeRole::Leader);
    assert_eq!(status.nodes[0].term, introduced.state.unwrap().term, "no vote has moved the term");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_entry_is_refused_and_says_which() {
    let place = Place::new();
    let server = place.start().await;
    let mut second = cluster(&server, &place, &node_certificate(&place, 2)).await;
    let introduced = second.introduce(v1::IntroduceRequest { protocol: 1 }).await.unwrap().into_inner();
    let sender = v1::Sender { cluster_id: introduced.cluster_id, from: 2, to: 1 };
    let entry = |kind, payload: &'static [u8]| v1::Entry {
        term: 9,
        leader_id: 2,
        kind,
        payload: payload.into(),
        ..v1::Entry::default()
    };
    for (entry, says) in [
        (entry(1, b"no batch at all"), "entry 5"),
        (entry(99, b""), "which this version does not know"),
        (entry(2, b""), "vote"),
        (entry(3, b"\xff\xff"), "entry 5"),
    ] {
        let request = v1::AppendEntriesRequest {
            sender: Some(sender.clone()),
            vote: Some(v1::NodeVote { term: 9, node_id: 2, committed: true }),
            previous: Some(v1::EntryId { term: 1, leader_id: 1, index: 4 }),
            committed: None,
            entries: vec![entry],
            quorum_age_millis: None,
        };
        let refused = second.heartbeat(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(says), "{refused}");
        let requests = futures::stream::iter([request]);
        let mut answers = second.append_entries(requests).await.unwrap().into_inner();
        let refused = answers.message().await.unwrap_err();
        assert!(refused.message().contains(says), "{refused}");
    }
    let mut begin = second
        .install_snapshot(futures::stream::iter([v1::SnapshotRequest {
            what: Some(v1::snapshot_request::What::Begin(v1::SnapshotBegin {
                sender: Some(sender),
                vote: Some(v1::NodeVote { term: 9, node_id: 2, committed: true }),
                description: (&b"nothing"[..]).into(),
            })),
        }]))
        .await
        .unwrap()
        .into_inner();
    let refused = loop {
        match begin.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a word"),
            Err(refused) => break refused,
        }
    };
    assert!(refused.message().contains("description of a snapshot"), "{refused}");
    server.stop().await.unwrap();
}
