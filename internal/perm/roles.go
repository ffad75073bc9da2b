package perm

import (
	"slices"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/pkg/events"
)

// Producer is a service that publishes requests to some accounts, each written
// provider/account, and to no other.
func Producer(service string, accounts ...string) Role {
	r := Role{Name: "producer_" + service, Who: "a service that publishes requests to its accounts"}
	for _, a := range accounts {
		for _, k := range events.RequestKinds {
			r.Publish = append(r.Publish, Grant{"tram." + string(k) + "." + accountTokens(a) + ".*", "publish requests"})
		}
	}
	r.Publish = append(r.Publish, known("find the directory", bucket(broker.AccountsBucket))...)
	for _, a := range accounts {
		r.Publish = append(r.Publish, Grant{
			"$JS.API.DIRECT.GET." + bucket(broker.AccountsBucket) + ".$KV." + broker.AccountsBucket + "." + accountTokens(a),
			"read what the account can do",
		})
	}
	return r
}

// Downstream is a service that reads events by a durable consumer of its own
// name.
func Downstream(service string) Role {
	const purpose = "read events under its own name"
	return Role{
		Name: "downstream_" + service, Who: "a service that reads events",
		Publish: append(share(purpose, events.EventsStream, service),
			// One that reads a single kind has it in the subject.
			Grant{"$JS.API.CONSUMER.CREATE." + events.EventsStream + "." + service + ".>", purpose}),
	}
}

// Dispatcher is a process that calls providers.
func Dispatcher() Role {
	const (
		alone    = "share the partitions among the dispatchers"
		recovery = "take over where another dispatcher was"
	)
	owners, control, schedules := bucket(broker.OwnersBucket), bucket(broker.ControlBucket), bucket(broker.SchedulesBucket)
	r := Role{Name: "dispatcher", Who: "calls the providers", Answers: true}
	r.Publish = slices.Concat(self(),
		known("check the streams", all()...),
		grants("say that a call is about to start", "tram.intent.*"),
		grants("store what became of a call", "tram.result.*.*.*"),
		grants("keep a request until its time", "tram.later.plan.>"),
		grants("remember that a request was taken back", "tram.later.void.>"),
		feed("work requests", broker.Requests, "req.>"),
		feedAny("work requests", broker.Requests),
		read("work requests", broker.Requests),
		read("find plans and what was taken back", broker.Later),
		read(recovery, broker.Intents, broker.Results),
		last(recovery, bucket(broker.CheckpointsBucket)),
		grants(recovery, "$KV."+broker.CheckpointsBucket+".>"),
		grants(alone, "$KV."+broker.OwnersBucket+".>"),
		feed(alone, owners, "$KV."+broker.OwnersBucket+".>"),
		read(alone, owners),
		grants("hold a limit that accounts share", "tram.group.*"),
		feed("obey operators", control, "$KV."+broker.ControlBucket+".>"),
		read("obey operators", control),
		feed("run schedules", schedules, "$KV."+broker.SchedulesBucket+".>"),
		last("run schedules", schedules),
		grants("run schedules", "$KV."+broker.SchedulesBucket+".progress.*", "tram.report.*.*.*"),
		grants("say what each account can do", "$KV."+broker.AccountsBucket+".*.*"),
		grants("tell when an account is held back", "tram.lane.*.*.*"),
	)
	r.Subscribe = slices.Concat(
		grants("hold a limit that accounts share", "tram.group.*"),
		grants("answer how it stands", broker.StatusSubject),
	)
	return r
}

// collected are the subjects of what a collector tells, below tram. What accounts
// do is told by dispatchers.
var collected = []string{"delivery.*.*.*", "stat.*.*.*", "record.*.*.*", "outcome.*.*.*"}

// Collector is a process that turns results into events.
func Collector() Role {
	r := Role{Name: "collector", Who: "turns results into events"}
	r.Publish = slices.Concat(self(),
		known("check the streams", all()...),
		each("publish events", "tram.", collected...),
		grants("store what needs a person", broker.DeadPrefix+"*.*.*"),
		share("read results", broker.Results, collector.Durable),
		grants("read results anew after some were given up", "$JS.API.CONSUMER.RESET."+broker.Results+"."+collector.Durable),
		last("tell the attempts before", broker.Results),
	)
	return r
}

// Operator is a person with the command tram, whatever it can do but setup.
func Operator() Role {
	r := Role{Name: "operator", Who: "a person with the command `tram`"}
	for _, k := range events.RequestKinds {
		r.Publish = append(r.Publish, Grant{"tram." + string(k) + ".*.*.*", "send, report, command, redrive, replay requests"})
	}
	const scan = "read any stream: tail, dead, replay, export"
	r.Publish = slices.Concat(
		r.Publish,
		self(),
		each("replay events into the live subjects", "tram.", collected...),
		grants("ask dispatchers how they stand", broker.StatusSubject),
		grants("resolve", "tram.result.*.*.*"),
		grants("pause and resume lanes", "$KV."+broker.ControlBucket+".*.*"),
		grants("keep schedules", "$KV."+broker.SchedulesBucket+".*.*"),
		grants("decide about dead letters", "$KV."+broker.DecisionsBucket+".>"),
		grants("drop dead letters", "$JS.API.STREAM.MSG.DELETE."+broker.Dead),
		grants("keep account of replays", "$KV."+broker.JobsBucket+".>"),
		grants("replay into a stream of its own", "tram.replay.>", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.DELETE.*"),
		grants(scan,
			"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>",
			"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.CONSUMER.DELETE.*.*",
			"$JS.ACK."+broker.Events+".>", "$JS.ACK.*.*."+broker.Events+".>"),
		grants("doctor: see what room there is, and who reads events", "$JS.API.INFO", "$JS.API.CONSUMER.LIST."+broker.Events),
		each(scan, "$JS.FC.", bucket(broker.AccountsBucket)+".>", bucket(broker.ControlBucket)+".>", bucket(broker.JobsBucket)+".>"),
	)
	r.Deny = slices.Concat(
		each("the relay's own streams stay", "$JS.API.STREAM.CREATE.", all()...),
		each("the relay's own streams stay", "$JS.API.STREAM.DELETE.", all()...),
		grants("the collectors' place stays",
			"$JS.API.CONSUMER.CREATE."+broker.Results+"."+collector.Durable,
			"$JS.API.CONSUMER.CREATE."+broker.Results+"."+collector.Durable+".>",
			"$JS.API.CONSUMER.DELETE."+broker.Results+"."+collector.Durable),
	)
	return r
}

// Setup is `tram setup`, run when the relay is installed or upgraded.
func Setup() Role {
	const purpose = "create the streams and bring them up to date"
	return Role{
		Name: "setup", Who: "`tram setup`, at installation and upgrade",
		Publish: slices.Concat(
			self(),
			known(purpose, all()...),
			each(purpose, "$JS.API.STREAM.CREATE.", all()...),
			each(purpose, "$JS.API.STREAM.UPDATE.", all()...),
			grants("see what the broker can do", "$JS.API.INFO"),
		),
	}
}
