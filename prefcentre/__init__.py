"""prefcentre: a self-hosted preference centre and campaign sender.

The map, from the ground up (each line may import only the lines above it):

    clock, errors, reasons      the time, what can go wrong, why somebody was not written to
    metrics, log                what every process counts, and what it tells
    phones                      telephone numbers as values
    processes                   which process this is, and whether another one is still there
    accounts, sections          mail servers, limits, the brand: groups of settings
    settings                    the environment, read once and checked
    tokens, addresses, lookup   signed links, e-mail addresses as values, keyed hashes of them
    links                       public addresses of our own pages
    db                          engines, sessions, column types
    subscribers                 who
    consent                     what they agreed to, when and to which words: append-only
    suppression                 whom we must not write to, and why
    preferences                 what a person chooses on their page
    media                       pictures for mails, drawn anew
    throttles                   how much may go where, and when: limits that all processes share
    campaigns                   what is sent, and when: files, states, schedule
    tracking                    opens and clicks of those who agreed
    messages                    one rendered mail as bytes
    delivery                    one row for each campaign and subscriber; the gate; the sender
    feedback                    what comes back: bounces, complaints, answers
    reporting                   figures for people who look back, and what needs a person
    rights                      what people may ask about their data; erasure, retention, restored backups
    monitoring                  numbers for a monitoring system
    checks                      what is looked at before a campaign goes
    web, jobs                   the pages; the clockwork
    app, supervisor, demo, cli  what puts it together and starts it
"""

__version__ = "0.1.0"
