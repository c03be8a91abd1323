"""What people ask about who they are and who is around them: home, work, school, health, family.

See ``frames`` for the notation. All frames of a group have the same answer.
"""

from __future__ import annotations

from allie_desktop.domain.frames import ANIMALS, Group, group

_RELATIVE = (
    "sister|brother|mother|father|mum|mom|dad|wife|husband|partner|girlfriend|boyfriend|son|daughter|grandmother|"
    "grandfather|grandma|grandpa|aunt|uncle|cousin|niece|nephew|best friend"
)

HOME: tuple[Group, ...] = (
    group(
        "where {do} {S} live", "what place {do} {S} call home", "where is {my} home", "where {be} {S} living",
        "where {do} {S} reside", "where {be} {S} at home", "where {do} {S} have {own} home",
    ),
    group(
        "what is {my} (address|home address|postal address|street address)", "what address {do} {S} live at",
        "which street and house number {do} {S} live at", "where should post for {me} be sent",
        "where would a parcel for {me} have to go", "at what address can {S} be found",
    ),
    group(
        "(what|which) (street|road) {do} {S} live (on|in)", "what street is {my} (house|home) on",
        "what is {my} street called", "what is the name of {my} street", "what is the name of {my} road",
    ),
    group(
        "(what|which) floor {do} {S} live on", "what floor is {my} [flat|apartment] on", "on (what|which) storey {do} {S} live",
        "which level of the building is {my} home on",
    ),
    group(
        "who {do} {S} live with", "who {do} {S} share {own} (home|household) with", "who else lives in {my} home",
        ">who lives together with {me}", "who lives with {me}", "who {be} {S} living with",
    ),
    group(
        "how long {have} {S} lived in {X}", "since when {have} {S} lived in {X}", "how many years {have} {S} lived in {X}",
        "how long {have} {S} been living in {X}", "how long has {X} been {my} home",
    ),
    group(
        "when did {S} move to {X}", "when did {S} relocate to {X}", "when did {S} come to live in {X}",
        "when did {S} settle in {X}", "what year did {S} move to {X}",
    ),
    group(
        "how much rent {do} {S} pay", "how (much|high) is {my} rent", "what is {my} [rent|monthly rent]",
        "what {do} {S} pay (in|for) rent", "how much {do} {S} pay for rent",
    ),
    group(
        "what is {my} [hometown|home town]", "where did {S} grow up", "where {was} {S} raised", "where {was} {S} brought up",
        "where did {S} spend {own} childhood", "which place did {S} grow up in", "where did {S} live as a child",
    ),
    group(
        "where {was} {S} born", "what is {my} (birthplace|place of birth)", "where did {S} come into the world",
        ">which place {was} {S} born in",
    ),
    group(
        "when {was} {S} born", "what is {my} (date of birth|birth date)", "on (what|which) (date|day) {was} {S} born",
        "when did {S} come into the world", "what date {was} {S} born on",
    ),
    group("(what|which) year {was} {S} born [in|]", "what is {my} (year of birth|birth year)", "in (what|which) year {was} {S} born"),
    group(
        "when is {my} birthday", "when {do} {S} celebrate {own} birthday", "what (date|day) is {my} birthday",
        "when {do} {S} turn a year older", "on (what|which) day {do} {S} get a year older", "when {do} {S} have {own} birthday",
    ),
    group(
        "what is {my} (star sign|zodiac sign)", "what sign of the zodiac {be} {S}", "which (star|zodiac) sign {be} {S}",
        "which star sign {was} {S} born under",
    ),
    group(
        "what is {my} nationality", "what nationality {be} {S}", "what country {be} {S} a citizen of", "what is {my} citizenship",
        "which citizenship {do} {S} (have|hold)", "what passport {do} {S} hold",
    ),
    group(
        "what is {my} (native language|mother tongue|first language)", "which language did {S} grow up (with|speaking)",
        "what language did {S} speak first as a child",
    ),
    group(
        "(what|which) languages {do} {S} speak", "what languages can {S} speak", "which languages {do} {S} know",
        "what languages can {S} hold a conversation in", "in which languages can {S} talk",
    ),
    group(
        "(what|which) (language|foreign language) {be} {S} learning", "which language {be} {S} studying",
        "what language {be} {S} picking up", "what language {be} {S} trying to learn", "which language {be} {S} taking lessons in",
    ),
)

WORK: tuple[Group, ...] = (
    group(
        "what {do} {S} do for a living", "what is {my} (job|profession|occupation|line of work|trade)",
        "what {do} {S} do for work", "what {do} {S} work as", "how {do} {S} earn {own} (living|money)", "what {be} {S} by profession",
        "what (kind|sort) of (work|job) {do} {S} [do|have]", "what {do} {S} do professionally", "(what|which) job {do} {S} [have|do]",
        ">how {do} {S} make {own} living",
    ),
    group("what is {my} job title", "what is {my} (position|title|role) at work", "what (position|role) {do} {S} hold at work"),
    group(
        "(what|which) company {do} {S} work [for|at]", "who is {my} employer", "who {do} {S} work for", "who employs {me}",
        "(what|which) (firm|business) {do} {S} work [for|at]", "what company {be} {S} (with|employed by)", "who pays {my} (salary|wages)",
        "whose payroll {be} {S} on",
    ),
    group(
        "where {do} {S} work", "where {be} {S} employed", "where is {my} (workplace|place of work|job)", "where {do} {S} have {own} job",
        "where {do} {S} earn {own} living", "where {be} {S} working", "where {do} {S} go to work", "what is {my} (workplace|place of work)",
    ),
    group(
        "who is {my} (boss|manager|supervisor|line manager)", "who {do} {S} report to", "who {do} {S} answer to at work",
        "who is in charge of {me} at work", "what is {my} boss called", "what is {my} boss's name", "what is the name of {my} boss",
        "who {do} {S} work under",
    ),
    group(
        "when {do} {S} (start|begin) work", "what time {do} {S} (start|begin) work", "when does {my} (working day|workday) (start|begin)",
        "what time {do} {S} have to be at work", "when {do} {S} clock in", "when {do} {S} start working",
    ),
    group(
        "when {do} {S} (finish|stop) work", "what time {do} {S} (finish|get off) work", "when does {my} (working day|workday) end",
        "when {do} {S} clock off", "until when {do} {S} work", "what time {do} {S} stop working",
    ),
    group(
        "how long {have} {S} (worked|been working) (at|for) {X}", "how long {have} {S} been employed at {X}",
        "how many years {have} {S} been at {X}", "since when {have} {S} worked at {X}",
    ),
    group("when did {S} start [at|working at|working for] {X}", "when did {S} join {X}", "when did {S} begin working at {X}"),
    group(
        "how much {do} {S} (earn|make)", "what is {my} (salary|income|pay)", "how much {be} {S} paid", "what {do} {S} get paid",
        "how high is {my} salary",
    ),
    group(
        "(what|which) days {do} {S} work from home", "on which days {do} {S} work (remotely|from home)", "when {do} {S} work from home",
        "which days {do} {S} stay at home to work", "on which days {do} {S} not go into the office",
    ),
    group(
        "what was {my} (previous|last|former|old) job", "what job did {S} have before", "what did {S} work as before",
        "what did {S} use to do for a living",
    ),
    group(
        "how {do} {S} (get|go|travel) to work", "how {do} {S} commute", "how {do} {S} get to {own} (job|workplace)",
        "what (means of transport|transport) {do} {S} use to get to work", "how {do} {S} make {own} way to work",
        "what {do} {S} take to get to work", "how {do} {S} commute to work",
    ),
    group(
        "how long is {my} commute", "how long {do} {S} (need|take) to get to work", "how long does it take {me} to get to work",
        "how much time {do} {S} spend commuting", "how long is {my} (way|trip|journey) to work", "how long does {my} commute take",
    ),
    group(
        "(what|which) (university|college) did {S} [go to|attend]", "where did {S} go to (university|college)", "what is {my} alma mater",
        "which university did {S} graduate from", "at which university did {S} (study|do {own} degree)", "where did {S} do {own} degree",
    ),
    group(
        "what did {S} study", "what was {my} (major|degree subject|field of study)", "what did {S} major in",
        "what did {S} get {own} degree in", "what {do} {S} have a degree in", "which subject did {S} (study|take) at university",
        "what did {S} study at [university|college]", "what is {my} degree in",
    ),
    group("what {do} {S} study", "what {be} {S} studying", "what is {my} (major|field of study)", "which subject {be} {S} studying", ">what {be} {S} doing {own} degree in"),
    group(
        "(what|which) school {do} {S} [go to|attend]", "where {do} {S} go to school", "what is {my} school called", "what is the name of {my} school",
        "which school {be} {S} (at|enrolled at)", "what is {my} school's name",
    ),
    group(
        "who is {my} {X} teacher", "who teaches {me} {X}", "who {do} {S} have {X} lessons with", "who gives {me} {X} lessons",
        "what is {my} {X} teacher called", "what is {my} {X} teacher's name", "what is the name of {my} {X} teacher",
        X="[a-z]+|[A-Z][a-z]+",
    ),
    group("who taught {me} {X}", "who did {S} learn {X} from", "from whom did {S} learn {X}", ">who was {my} {X} teacher", X="(?!how|to)\\w+"),
)

HEALTH: tuple[Group, ...] = (
    group(
        "what {be} {S} allergic to", "what allergies {do} {S} have", "what is {my} allergy", "what {do} {S} react badly to",
        "what gives {me} an allergic reaction", "what triggers {my} allergy", "what (must|should) {S} avoid because of an allergy",
        "what {do} {S} have an (allergy|allergic reaction) to", "what allergy {do} {S} (have|suffer from)", "what are {my} allergies",
    ),
    group(
        "(what|which) (medication|medicine|tablets|pills) {do} {S} take", "what (medication|medicine) {be} {S} on",
        "which tablets {do} {S} have to take", "what (medicine|medication) {have} {S} been prescribed",
    ),
    group("what {do} {S} take for {X}", "what (medicine|medication) {do} {S} (take|use) (for|against) {X}", "what helps {me} against {X}", X="(?:my )?(?:migraines?|headaches?|hay fever|asthma|allergy|allergies|back pain|pain|thyroid|colds?|insomnia|heartburn)"),
    group(
        "what is {my} (blood type|blood group)", "(what|which) (blood type|blood group) {do} {S} have", "what (type|group) is {my} blood",
        "what kind of blood {do} {S} have", "which blood group {be} {S}",
    ),
    group(
        "who is {my} (doctor|GP|family doctor)", "which doctor {do} {S} (go to|see)", "who {do} {S} see when ill", "what is {my} doctor called",
        "what is {my} doctor's name", "what is the name of {my} doctor", "who treats {me} when ill",
    ),
    group(
        "who is {my} dentist", "who looks after {my} teeth", "which dentist {do} {S} (go to|see)", "who checks {my} teeth",
        "what is {my} dentist called", "what is {my} dentist's name", "what is the name of {my} dentist",
    ),
    group(
        "when is {my} [dentist|dental|dentist's] appointment", "when {do} {S} have to (go to|see) the dentist", "when {be} {S} seeing the dentist",
        "when {be} {S} due at the dentist", "what is the date of {my} dental appointment", "when {do} {S} have {own} dental appointment",
    ),
    group("how tall {be} {S}", "what is {my} (height|body height)", "what height {be} {S}", ">how many centimetres tall {be} {S}"),
    group("how much {do} {S} weigh", "what is {my} (weight|body weight)", "how heavy {be} {S}", "what {do} {S} weigh"),
    group(
        "which hand {do} {S} write with", "what is {my} (dominant|writing) hand", "{be} {S} left-handed or right-handed",
        "{be} {S} a left-hander or a right-hander", "which hand {do} {S} use to write",
    ),
    group(
        "(when|what time) {do} {S} go to (bed|sleep)", "when {do} {S} turn in for the night", "what is {my} bedtime",
        "when {do} {S} fall asleep", "what time {do} {S} hit the hay",
    ),
    group("(when|what time) {do} {S} (get up|wake up)", "when {do} {S} get out of bed", "what time {do} {S} rise", "what time {do} {S} start {own} day"),
    group("how many hours {do} {S} sleep", "how much sleep {do} {S} get", "how long {do} {S} sleep", "for how many hours {be} {S} asleep at night"),
    group(
        "what {be} {S} (afraid|scared|frightened|terrified) of", "what is {my} (phobia|fear|biggest fear)", "what {do} {S} fear",
        "what (frightens|scares) {me}", "what {do} {S} have a phobia of", "what makes {me} afraid",
    ),
)

FAMILY: tuple[Group, ...] = (
    group(
        "what is {T} called", "what is {T}'s name", "what is the name of {T}", "what name does {T} answer to",
        "which name does {T} respond to", "what name did {S} give {T}", "what {do} {S} call {T}",
        "what did {S} name {T}",
        T=rf"(?:my|our) (?:{ANIMALS})",
    ),
    group(
        "who is {my} {X}", "what is {my} {X} called", "what is {my} {X}'s name", "what is the name of {my} {X}",
        ">what is the person called who is {my} {X}", ">by what name does {my} {X} go",
        X=_RELATIVE,
    ),
    group(
        "who is {my} (wife|husband|spouse)", "who {be} {S} married to", "who did {S} marry", "what is the person called that {S} married",
    ),
    group("how many siblings {do} {S} have", "how many brothers and sisters {do} {S} have", "how many (siblings|brothers and sisters) {have} {S} got", "how many other children did {my} parents have"),
    group(
        "how many (children|kids) {do} {S} have", "how many sons and daughters {do} {S} have", "how many (children|kids) {have} {S} got",
        ">how big is the number of {my} children",
    ),
    group(
        "when did {S} get married", "when did {S} (marry|wed)", "when did {S} tie the knot", "when was {my} wedding",
        "on (what|which) day did {S} get married", "on what date did {S} marry", "what was {my} wedding date",
    ),
    group("where did {S} get married", "where did {S} marry", "where was {my} wedding", "where did {my} wedding take place", "where did {S} tie the knot"),
    group("when is {my} wedding", "when {be} {S} getting married", "when {do} {S} tie the knot", "on what date is {my} wedding", "when will {S} (marry|get married)"),
    group(
        "when is {my} [wedding anniversary|anniversary]", "when {do} {S} celebrate {own} [wedding anniversary|anniversary]",
        "what (date|day) is {my} wedding anniversary", "what is the date of {my} wedding anniversary", ">on which day {do} {S} celebrate {own} marriage",
    ),
    group(
        "where did {S} meet {X}", "where did {S} get to know {X}", "where did {S} first meet {X}", "where did {S} and {X} meet", "where did {S} and {X} get to know each other",
        X="(?:my|her|his|our|their) [\\w ]+|[A-Z]\\w+",
    ),
    group(
        "how did {S} meet {X}", "how did {S} get to know {X}", "how did {S} and {X} meet", "how did {S} and {X} get to know each other",
        X="(?:my|her|his|our|their) [\\w ]+|[A-Z]\\w+",
    ),
    group(
        "how long {have} {S} known {X}", "since when {have} {S} known {X}", "for how many years {have} {S} known {X}", "how long ago did {S} meet {X}",
        X="(?:my|her|his|our|their) [\\w ]+|[A-Z]\\w+",
    ),
    group(
        "who is {my} landlord", "who {do} {S} rent from", "who owns {my} [flat|apartment]", "who {do} {S} pay {own} rent to",
        "what is {my} landlord's name", "what is {my} landlord called",
    ),
    group(
        "who is {my} [neighbour|neighbor|next-door neighbour]", "who lives next door to {me}", "what is {my} [neighbour|neighbor] called",
        "what is {my} [neighbour|neighbor]'s name", "what is the name of {my} [neighbour|neighbor]", ">what is the person next door to {me} called",
    ),
    group("who is {my} [hairdresser|barber]", "who cuts {my} hair", "who does {my} hair", "which hairdresser {do} {S} go to", "what is {my} [hairdresser|barber] called", "what is {my} [hairdresser|barber]'s name", "what is the name of {my} [hairdresser|barber]"),
    group("who is {my} vet", "which vet {do} {S} go to", "what is {my} vet called", "what is {my} vet's name", "what is the name of {my} vet", ">which vet treats {my} animals"),
    group("who is {my} (babysitter|childminder)", "who (looks after|minds|babysits) {my} [kids|children]", "what is {my} babysitter called", "what is {my} babysitter's name"),
    group("who is {my} (accountant|tax adviser)", "who does {my} taxes", "who prepares {my} tax return", "what is {my} accountant called", "what is {my} accountant's name"),
    group(
        "who is {my} emergency contact", "who should be (called|contacted|informed) if something happens to {me}",
        "who should be (called|contacted) in an emergency", "who is to be called if {S} {have} an accident", "whose number should be rung if {S} {have} an accident",
    ),
    group("what is {my} nickname", "what {do} people call {me}", "what {do} {my} friends call {me}", "what nickname {do} {S} have", ">what {be} {S} called by friends"),
    group("what is {my} middle name", "what middle name {do} {S} have", "what is {my} second (first|given) name"),
    group("what is {my} (surname|last name|family name)", "what (surname|family name) {do} {S} have"),
    group(
        "what (was|is) {my} maiden name", "what was {my} (birth name|surname before marriage)", "what {was} {S} called before marriage",
        "which surname did {S} have before getting married",
    ),
    group("what breed is {my} {X}", "what (kind|sort|breed) of {X} {do} {S} have", "what is the breed of {my} {X}", "what is {my} {X}'s breed", "what (kind|sort) of {X} is {my} {X}", X="dog|cat|horse|pony|rabbit|puppy|kitten"),
    group("what does {T} eat", "what {do} {S} feed {T}", "what food does {T} get", "what {do} {S} give {T} to eat", "what {do} {S} put in the bowl for {T}", T=rf"(?:my|our) (?:{ANIMALS})"),
    group("where does {T} sleep", "where does {T} spend the night", "where is {T}'s bed", "where does {T} lie down at night", T=rf"(?:my|our) (?:{ANIMALS})"),
    group("where did {S} get {T} [from|]", "where did {S} adopt {T} [from|]", "where does {T} come from", T=rf"(?:my|our|her|his) (?:{ANIMALS})"),
)

LIFE: tuple[Group, ...] = HOME + WORK + HEALTH + FAMILY
