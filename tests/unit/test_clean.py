"""What ``clean`` removes."""

from support import container, image

from tasks.plan.clean import CleanPlan, Leftovers, plan
from tasks.plan.facts import NamedResource

FOUND = Leftovers(
    containers=(container("shop-web-1"), container("shop-web-2", state="exited")),
    networks=(NamedResource("n1", "shop_default"),),
    images=(
        image("sha256:a", tags=("shop/web:dev", "shop/web:1.0.0"), size=7_000_000),
        image("sha256:0123456789abcdef", size=1_000),
    ),
    volumes=(NamedResource("v1", "shop_data", 5_000_000), NamedResource("v2", "shop_odd", -1)),
)


def lines_of(cleaning: CleanPlan) -> list[str]:
    return [command.shell() for command in cleaning.commands]


def test_containers_and_networks_go_and_what_holds_data_stays() -> None:
    cleaning = plan(FOUND, volumes=False, images=False, env={})

    assert lines_of(cleaning) == ["docker rm --force shop-web-1 shop-web-2", "docker network rm shop_default"]
    assert cleaning.lines == ("container shop-web-1 (running)", "container shop-web-2 (exited)", "network shop_default")
    assert cleaning.freed == 0


def test_images_go_when_asked_by_every_name_they_have() -> None:
    cleaning = plan(FOUND, volumes=False, images=True, env={})

    assert lines_of(cleaning)[2:] == ["docker image rm shop/web:dev shop/web:1.0.0 sha256:0123456789abcdef"]
    assert cleaning.lines[3:] == ("image shop/web:dev shop/web:1.0.0 (7.0 MB)", "image sha256:0123456789ab (1.0 kB)")
    assert cleaning.freed == 7_001_000


def test_volumes_go_when_asked_and_a_size_that_is_not_known_frees_nothing() -> None:
    cleaning = plan(FOUND, volumes=True, images=False, env={})

    assert lines_of(cleaning)[2:] == ["docker volume rm --force shop_data shop_odd"]
    assert cleaning.lines[3:] == ("volume shop_data (5.0 MB)", "volume shop_odd (size unknown)")
    assert cleaning.freed == 5_000_000


def test_anonymous_volumes_go_with_their_containers_only_when_volumes_were_asked_for() -> None:
    assert "--volumes" in lines_of(plan(FOUND, volumes=True, images=False, env={}))[0].split()
    assert "--volumes" not in lines_of(plan(FOUND, volumes=False, images=True, env={}))[0].split()


def test_containers_go_first_and_volumes_last_so_that_nothing_is_in_use() -> None:
    commands = lines_of(plan(FOUND, volumes=True, images=True, env={}))

    assert [line.split()[1] for line in commands] == ["rm", "network", "image", "volume"]


def test_where_nothing_is_left_nothing_runs() -> None:
    assert plan(Leftovers(), volumes=True, images=True, env={}) == CleanPlan((), 0, ())


def test_every_command_goes_to_the_profiles_engine() -> None:
    env = {"DOCKER_HOST": "ssh://deploy@staging.example.com"}

    assert all(command.env == env for command in plan(FOUND, volumes=True, images=True, env=env).commands)
