//! What is asked of a cluster.

use tapebook_client::{ClientError, NodeRole};

use super::fake::{Node, Part, Written, client_of};

#[tokio::test(flavor = "multi_thread")]
async fn any_node_tells_the_state_and_what_is_not_known_is_not_made_up() {
    let node = Node::start(&Written::default(), Part::Follows(String::new())).await;
    let status = client_of(&[&node]).await.cluster().status().await.unwrap();
    assert_eq!((status.cluster_id, status.node_id, status.leader_id), (Some([7; 16]), 2, Some(1)));
    let [leader, silent] = &status.nodes[..] else { panic!("{status:?}") };
    assert_eq!((leader.role, leader.term, leader.commit_index), (Some(NodeRole::Leader), Some(4), Some(9)));
    assert_eq!((leader.applied_seq, leader.lag_records, leader.lag_seconds), (Some(0), Some(0), None));
    assert_eq!((leader.rolling_hash, &leader.problem), (Some([0xab; 16]), &None));
    assert_eq!((silent.role, silent.term, silent.rolling_hash), (None, None, None));
    assert_eq!(silent.problem.as_deref(), Some("no answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_go_to_the_leader() {
    let written = Written::default();
    let leader = Node::start(&written, Part::Leads).await;
    let follower = Node::start(&written, Part::Follows(leader.address.to_string())).await;
    let cluster = client_of(&[&follower]).await.cluster();
    let added = cluster.add(4, "node-4:7700").await.unwrap();
    let members: Vec<_> = added.iter().map(|member| (member.node_id, member.votes)).collect();
    assert_eq!(members, [(1, true), (4, false)]);
    assert_eq!(added[1].address, "node-4:7700");
    cluster.promote(4).await.unwrap();
    cluster.remove(2).await.unwrap();
    assert_eq!(cluster.replace(3, 5, "node-5:7700").await.unwrap()[1].node_id, 5);
    assert_eq!(cluster.transfer(Some(4)).await.unwrap(), 4);
    assert_eq!(cluster.transfer(None).await.unwrap(), 3);
    assert_eq!(follower.calls(), ["add"]);
    assert_eq!(leader.calls(), ["add", "promote", "remove", "replace", "transfer", "transfer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_have_been_made_is_not_made_again() {
    let node = Node::start(&Written::default(), Part::Breaks).await;
    let failed = client_of(&[&node]).await.cluster().transfer(None).await.unwrap_err();
    assert!(matches!(failed, ClientError::Failed(_)), "{failed}");
    assert_eq!(node.calls(), ["transfer"]);
}
